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
  for (const control of part.querySelectorAll("[data-view]")) {
    const first = valueOf(control),
      given = chosenView().get(control.dataset.view);
    if (given !== null) {
      setValue(control, given);
      if (valueOf(control) !== given) setValue(control, first); // what this page does not have
    }
    control.addEventListener("input", () =>
      keepView(control.dataset.view, valueOf(control), first, part.id),
    );
  }
  if (chosenView().get("at") === part.id) part.scrollIntoView();
}

function chosenView() {
  const fragment = location.hash.slice(1);
  return new URLSearchParams(fragment.includes("=") ? fragment : "");
}

// `at` is the part that was changed last, where a link to this view opens.
function keepView(name, value, unchanged, at) {
  const view = chosenView();
  if (value === unchanged) view.delete(name);
  else view.set(name, value);
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
