// Puts the chosen segment's figures into the places that already show the whole company's, and lists the deals behind a
// number that is followed. All texts were written by the report run; only text and lengths are set, never markup.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(byId(id)?.textContent || "null");
  // Browsers that do not unfold the list a link leads to are helped; on paper everything is unfolded.
  const unfold = () => {
    const folded = byId(decodeURIComponent(location.hash.slice(1)))?.closest("details");
    if (folded) folded.open = true;
  };
  addEventListener("hashchange", unfold);
  addEventListener("beforeprint", () => { for (const folded of document.querySelectorAll("details")) folded.open = true; });
  unfold();

  const data = read("data");
  const behind = read("behind-data");
  const members = read("members");
  const filter = byId("filter");
  const dimension = byId("dimension");
  const member = byId("member");
  const period = byId("period");
  const LISTED = 200;
  let followed = [];

  const segment = () => (filter && dimension.value !== "all" ? dimension.value + data.separator + member.value : null);
  const segmentName = () => (segment() ? `${dimension.selectedOptions[0].text} = ${member.selectedOptions[0].text}` : "");
  const chosen = () => (segment() ? behind.segments.indexOf(segment()) : -1);
  const isOf = (deal, place) => place < 0 || deal[11].includes(place);
  const within = (day, days) => day !== "" && day >= days[0] && day < days[1];

  // The conditions by which the metrics count, over whole days.
  const dealsOf = {
    open: (d) => behind.statuses[d[8]] === "open",
    won: (d, days) => behind.statuses[d[8]] === "won" && within(d[7], days),
    closed: (d, days) => behind.statuses[d[8]] !== "open" && within(d[7], days),
    created: (d, days) => within(d[6], days),
  };
  const visitsOf = {
    cohort: (v, days) => v[6] === 1 && within(v[2], days),
    began: (v, days) => within(v[2], days),
    opening: (v, days) => v[2] < days[0] && (v[4] === "" || v[4] >= days[0]),
    closing: (v, days) => v[2] < days[1] && (v[4] === "" || v[4] >= days[1]),
  };
  const visitMatches = (what) => visitsOf[what] || (what.startsWith("entered_")
    ? (v, days) => within(v[2], days) && behind.entries[v[3]] === what.slice("entered_".length)
    : (v, days) => within(v[4], days) && behind.exits[v[5]] === what);

  const named = (name, id) => {
    if (!name) return [id];
    const small = document.createElement("small");
    small.className = "under";
    small.textContent = id;
    return [name + " ", small];
  };
  const rowOf = (heads, cells) => {
    const row = document.createElement("tr");
    row.setAttribute("role", "row");
    cells.forEach(([kind, ...content], place) => {
      const cell = document.createElement("td");
      const box = document.createElement("div");
      cell.setAttribute("role", "cell");
      cell.dataset.label = heads[place].textContent;
      if (kind) cell.className = kind;
      box.append(...content);
      cell.append(box);
      row.append(cell);
    });
    return row;
  };
  const dealCells = (d) => [["id", ...named(d[1], d[0])], ["who", ...named(d[2], d[3])], ["keep", d[4]], ["n", d[5]], ["keep", d[6]], ["keep", d[7]], ["n", d[9]], ["n", d[10]]];
  const visitCells = (v) => {
    const d = behind.deals[v[0]];
    return [["id", ...named(d[1], d[0])], ["who", ...named(d[2], d[3])], ["n", d[5]], ["keep", behind.stages[v[1]]],
      ["", `${v[2]} ${behind.words.entry[v[3]]}`], ["", `${v[4]} ${behind.words.exit[v[5]]}`]];
  };

  const list = (link) => {
    const { list: kind, what, stage, days: given, label } = link.dataset;
    const place = chosen();
    const at = period ? period.selectedIndex : 0;
    const days = given ? given.split(" ") : behind.periods[at];
    const rows = kind === "deals"
      ? behind.deals.filter((d) => isOf(d, place) && dealsOf[what](d, days))
      : behind.visits.filter((v) => v[1] === behind.keys.indexOf(stage) && isOf(behind.deals[v[0]], place) && visitMatches(what)(v, days));
    if (kind === "visits") rows.sort((a, b) => a[0] - b[0] || (a[2] < b[2] ? -1 : 1));
    const box = byId(`behind-${kind}`);
    const heads = box.querySelectorAll("thead th");
    box.querySelector("tbody").replaceChildren(...rows.slice(0, LISTED).map((row) => rowOf(heads, kind === "deals" ? dealCells(row) : visitCells(row))));
    const of = given || what === "open" ? "" : period?.selectedOptions[0].text || "";
    box.querySelector("[data-title]").textContent = [label, of, segmentName()].filter(Boolean).join(" · ");
    const cut = behind.words.of.replace("{shown}", Math.min(rows.length, LISTED)).replace("{total}", rows.length);
    box.querySelector("[data-cut]").textContent = [cut, behind.words.cut].filter(Boolean).join(" ");
  };
  const relist = () => { for (const link of followed) list(link); };
  if (behind) {
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a.follow");
      if (!link) return;
      followed = [...followed.filter((other) => other.dataset.list !== link.dataset.list), link];
      list(link);
    });
  }

  // Of the lists of deals the rows of other members are hidden.
  const showRows = () => {
    if (!behind) return;
    const place = chosen();
    const known = new Map(behind.deals.map((d) => [d[0], d]));
    for (const row of document.querySelectorAll("tr[data-deal]")) {
      const deal = known.get(row.dataset.deal);
      row.hidden = place >= 0 && !(deal && isOf(deal, place));
    }
    for (const note of document.querySelectorAll(".of-member")) {
      const shown = document.querySelectorAll(`#${note.dataset.of} > table tr[data-deal]:not([hidden]), #${note.dataset.of} > .more tr[data-deal]:not([hidden])`).length;
      note.textContent = place < 0 ? "" : behind.words.member.replace("{shown}", shown).replace("{member}", member.selectedOptions[0].text);
    }
  };

  if (!filter) return;
  const lead = byId("shown").dataset.lead;
  const fillMembers = () => {
    member.replaceChildren(...members[dimension.value].map((m) => new Option(m.name, m.member)));
  };
  const show = () => {
    const name = dimension.value + data.separator + member.value;
    for (const panel of ["forecast", "changes", "stages", "wins"]) {
      const grid = data[panel];
      const cells = grid.cells[name] || grid.blank;
      const offset = period && !["forecast", "changes"].includes(panel) ? (period.selectedIndex * cells.length) / period.options.length : 0;
      for (const element of document.querySelectorAll(`[data-panel="${panel}"]`)) {
        if (element.dataset.text) element.textContent = cells[Number(element.dataset.text) + offset];
        for (const pair of (element.dataset.attributes || "").split(" ").filter(Boolean)) {
          const [attribute, index] = pair.split("=");
          element.setAttribute(attribute, cells[Number(index) + offset]);
        }
      }
    }
    member.parentElement.hidden = dimension.value === "all";
    byId("shown").textContent = `${lead} ${segmentName() || member.selectedOptions[0].text}`;
    if (period) byId("period-shown").textContent = period.selectedOptions[0].text;
    showRows();
    relist();
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
