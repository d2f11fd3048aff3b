// What the reader has chosen stands in the address, so that a view can be linked to: each
// control with `data-view` keeps its value there, under that name.

const data = JSON.parse(document.getElementById("data").textContent);
const view = viewIn(location.hash); // what was changed, and `at`, the part that was last

function viewIn(fragment) {
  return new URLSearchParams(fragment.includes("=") ? fragment.slice(1) : "");
}

const valueOf = control =>
  control.type === "checkbox" ? String(Number(control.checked)) : control.value;

function setValue(control, value) {
  if (control.type === "checkbox") control.checked = value === "1";
  else control.value = value;
}

// Sets a part's controls, once they are filled, from the address, and keeps them there.
function remember(part) {
  const unchanged = new Map();
  for (const control of part.querySelectorAll("[data-view]")) {
    const first = valueOf(control),
      given = view.get(control.dataset.view);
    unchanged.set(control, first);
    if (given === null) continue;
    setValue(control, given);
    if (valueOf(control) !== given) setValue(control, first); // what this page does not have
  }
  const keepNow = () => keepView(unchanged, part.id);
  part.addEventListener("change", keepNow);
  part.addEventListener("input", event => {
    if (event.target.type !== "range") keepNow(); // browsers limit how often, so once it rests
  });
}

// All controls of a part, of which one may set another. `at` is the part that was changed
// last, where a link to this view opens.
function keepView(unchanged, at) {
  for (const [control, first] of unchanged) {
    const value = valueOf(control);
    if (value === first) view.delete(control.dataset.view);
    else view.set(control.dataset.view, value);
  }
  view.delete("at");
  if (view.size) view.set("at", at);
  showView();
}

function showView() {
  history.replaceState(null, "", location.href.split("#")[0] + (view.size ? `#${view}` : ""));
}

// A link to a part of the page leaves the view as it is; another view is opened anew.
addEventListener("hashchange", () => {
  const given = viewIn(location.hash),
    at = given.get("at") ?? location.hash.slice(1);
  const isOther = [...given].some(([name, value]) => name !== "at" && view.get(name) !== value);
  if (isOther || (given.size && given.size !== view.size)) location.reload();
  else if (view.size) {
    view.set("at", at);
    showView();
  }
});

// A choice that is no control's own, in a hidden one.
function keep(id, value) {
  $(id).value = value;
  $(id).dispatchEvent(new Event("input", {bubbles: true}));
}

// What a slider stands at, for the eye and for who hears it.
function tellSlider(id, text) {
  $(`${id}-now`).textContent = $(id).ariaValueText = text;
}

// Two menus of items, a group for each study: the deep network first, and the one behind it.
function fillMenus(ids, items) {
  const deep = Math.max(
    0,
    items.findIndex(item => item.label.startsWith("VGG38")),
  );
  for (const id of ids)
    for (const [study, same] of grouped(items, item => item.study))
      $(id).append(
        make(
          "optgroup",
          {label: study},
          ...same.map(({label, run}) => make("option", {value: run}, label)),
        ),
      );
  $(ids[0]).value = items[deep].run;
  $(ids[1]).value = (items[deep + 1] ?? items[Math.max(0, deep - 1)]).run;
}

const chosenIn = (id, items) => items.find(item => item.run === $(id).value);

function grouped(items, key) {
  const groups = new Map();
  for (const item of items) {
    if (!groups.has(key(item))) groups.set(key(item), []);
    groups.get(key(item)).push(item);
  }
  return groups;
}
