// What the reader has chosen stands in the address, so that a view can be linked to: each
// control with `data-view` keeps its value there, under that name.

const data = JSON.parse(document.getElementById("data").textContent);

const valueOf = control =>
  control.type === "checkbox" ? String(Number(control.checked)) : control.value;

function setValue(control, value) {
  if (control.type === "checkbox") control.checked = value === "1";
  else control.value = value;
}

// Sets a part's controls, once they are filled, from the address, and keeps them there.
function remember(part) {
  const view = chosenView(),
    unchanged = new Map();
  for (const control of part.querySelectorAll("[data-view]")) {
    const first = valueOf(control),
      given = view.get(control.dataset.view);
    unchanged.set(control, first);
    if (given === null) continue;
    setValue(control, given);
    if (valueOf(control) !== given) setValue(control, first); // what this page does not have
  }
  part.addEventListener("input", () => keepView(unchanged, part.id));
  if (view.get("at") === part.id) part.scrollIntoView();
}

function chosenView() {
  const fragment = location.hash.slice(1);
  return new URLSearchParams(fragment.includes("=") ? fragment : "");
}

// All controls of a part, of which one may set another. `at` is the part that was changed
// last, where a link to this view opens.
function keepView(unchanged, at) {
  const view = chosenView();
  for (const [control, first] of unchanged) {
    const value = valueOf(control);
    if (value === first) view.delete(control.dataset.view);
    else view.set(control.dataset.view, value);
  }
  view.delete("at");
  if (view.size) view.set("at", at);
  history.replaceState(null, "", view.size ? `#${view}` : location.pathname + location.search);
}

// A menu of items, a group for each study; `chosen` is the number of the first one.
function fillMenu(id, items, chosen) {
  for (const [study, same] of grouped(
    items.map((item, number) => ({...item, number})),
    item => item.study,
  )) {
    const group = make("optgroup", {label: study});
    for (const {label, number} of same) group.append(make("option", {value: number}, label));
    $(id).append(group);
  }
  $(id).value = Math.min(chosen, items.length - 1);
}

function grouped(items, key) {
  const groups = new Map();
  for (const item of items) {
    if (!groups.has(key(item))) groups.set(key(item), []);
    groups.get(key(item)).push(item);
  }
  return groups;
}
