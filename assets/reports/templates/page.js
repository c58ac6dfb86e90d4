// Puts the chosen segment's figures into the places that already show the whole company's. All texts were written by
// the report run; nothing is computed here and only text and lengths are set, never markup.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  // Browsers that do not unfold the list a link leads to are helped.
  addEventListener("hashchange", () => {
    const folded = byId(decodeURIComponent(location.hash.slice(1)))?.closest("details");
    if (folded) folded.open = true;
  });
  const filter = byId("filter");
  if (!filter) return;
  const data = JSON.parse(byId("data").textContent);
  const members = JSON.parse(byId("members").textContent);
  const dimension = byId("dimension");
  const member = byId("member");
  const period = byId("period");
  const lead = byId("shown").dataset.lead;

  const fillMembers = () => {
    member.replaceChildren(...members[dimension.value].map((m) => new Option(m.name, m.member)));
  };

  const show = () => {
    const segment = dimension.value + data.separator + member.value;
    for (const panel of ["forecast", "stages", "wins"]) {
      const grid = data[panel];
      const cells = grid.cells[segment] || grid.blank;
      const offset = period && panel !== "forecast" ? (period.selectedIndex * cells.length) / period.options.length : 0;
      for (const element of document.querySelectorAll(`[data-panel="${panel}"]`)) {
        if (element.dataset.text) element.textContent = cells[Number(element.dataset.text) + offset];
        for (const pair of (element.dataset.attributes || "").split(" ").filter(Boolean)) {
          const [name, index] = pair.split("=");
          element.setAttribute(name, cells[Number(index) + offset]);
        }
      }
    }
    member.parentElement.hidden = dimension.value === "all";
    const name = member.selectedOptions[0].text;
    byId("shown").textContent = dimension.value === "all" ? `${lead} ${name}` : `${lead} ${dimension.selectedOptions[0].text} = ${name}`;
    if (period) byId("period-shown").textContent = period.selectedOptions[0].text;
  };

  dimension.addEventListener("change", () => { fillMembers(); show(); });
  member.addEventListener("change", show);
  if (period) {
    period.addEventListener("change", show);
    byId("period-choice").hidden = false;
  }
  fillMembers();
  filter.hidden = dimension.options.length < 2;
  show();
})();
