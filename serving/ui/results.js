"use strict";
// The list of results: each item as a person knows it, and why it is there.

function action(text, label, run) {
  const button = make("button", "", text);
  button.type = "button";
  button.setAttribute("aria-label", label);
  button.onclick = run;
  return button;
}

function resultRow(id, score, actions) {
  const entry = make("li");
  const about = make("div");
  about.append(make("div", "item", titleOf(id)));
  const labels = (known.get(id) && known.get(id).labels) || [];
  const shown = titleOf(id) === id ? labels : [id, ...labels];
  about.append(make("div", "labels", shown.join(" · ")));
  const why = make("div");
  about.append(why);
  const more = make("div", "more");
  more.append(...actions(id));
  const shownScore = make("span", "score", signless(score));
  shownScore.title = "score";
  entry.append(thumbnail(id), about, shownScore, more);
  return { entry, why, more };
}

// On a phone the list lies below the form, and is what was asked for.
const narrow = matchMedia("(max-width: 50rem)");

function showList() {
  byId("title").scrollIntoView({ block: narrow.matches ? "start" : "nearest" });
}

// Draws a list and gives what explanations are filled into, by item.
async function drawResults(title, outputs, note, actions) {
  const pairs = outputs.item_ids[0]
    .map((id, index) => [id, outputs.scores[0][index]])
    .filter(([id]) => id !== "");
  await learn(pairs.map(([id]) => id));
  const rows = new Map();
  for (const [id, score] of pairs) rows.set(id, resultRow(id, score, actions));
  byId("results").replaceChildren(...[...rows.values()].map((row) => row.entry));
  byId("legend").hidden = true;
  byId("title").textContent = title;
  const count = pairs.length === 1 ? "1 item" : `${pairs.length} items`;
  byId("note").textContent = pairs.length ? `${count} in ${note}` : "No item qualifies.";
  return rows;
}

// Fills in shares and sentences of `explain` for the rows that are shown.
async function drawReasons(rows, outputs) {
  const names = outputs.modality[0];
  const places = outputs.item_ids[0].map((id, place) => [id, place]).filter(([id]) => rows.has(id));
  const shares = outputs.modality_shares[0];
  const parts = chosenParts(names, places.map(([, place]) => shares[place]));
  const causes = outputs.history_ids[0];
  await learn(places.flatMap(([, place]) => causes[place]));
  drawLegend(parts);
  for (const [id, place] of places) {
    const { entry, why, more } = rows.get(id);
    why.replaceChildren(
      make("p", "why", outputs.reason[0][place]), shareBar(parts, shares[place]));
    const details = make("details");
    details.append(make("summary", "", "What the score is made of"));
    const tables = make("div", "tables");
    tables.append(
      shareTable("Of the item", bySize(names, shares[place])),
      shareTable("Of the user", bySize(outputs.query_part[0], outputs.query_shares[0][place])));
    const liked = causes[place]
      .map((cause, number) => [cause, outputs.history_shares[0][place][number]])
      .filter(([cause]) => cause)
      .map(([cause, share]) => [titleOf(cause), share]);
    if (liked.length) tables.append(shareTable("History that moved it most", liked));
    details.append(tables);
    entry.insertBefore(details, more);
  }
}
