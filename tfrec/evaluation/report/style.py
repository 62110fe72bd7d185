"""The report's style sheet: light and dark, wide and narrow, no font or file from elsewhere."""

from __future__ import annotations

__all__ = ["CSS"]

CSS = """
:root { color-scheme: light dark;
  --page:#f7f7f5; --card:#ffffff; --ink:#1a1d21; --soft:#555c66; --line:#dcdfe3; --grid:#e9ebee;
  --model:#0b5cad; --other:#7a828c; --good:#14693a; --good-back:#e2f3e8; --bad:#a3291f;
  --bad-back:#fbe7e4; --hit:#fff3cd; --hit-line:#8a6300; --loss:#9a4a00; }
@media (prefers-color-scheme: dark) { :root {
  --page:#14171a; --card:#1d2125; --ink:#e9ecef; --soft:#a8b0b9; --line:#383f46; --grid:#2b3137;
  --model:#6cb2ff; --other:#8f98a3; --good:#7ddba0; --good-back:#16351f; --bad:#ff9d92;
  --bad-back:#43201c; --hit:#3d3314; --hit-line:#e5c15a; --loss:#f0a45d; } }
* { box-sizing:border-box }
body { margin:0; background:var(--page); color:var(--ink);
  font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif }
main { max-width:68rem; margin:0 auto; padding:1.5rem 1rem 4rem }
h1 { font-size:1.1rem; font-weight:600; color:var(--soft); margin:0 0 .75rem;
  overflow-wrap:anywhere }
h2 { font-size:1.2rem; margin:0 0 .35rem }
h3 { font-size:1rem; margin:1.1rem 0 .4rem }
p { margin:.3rem 0 .8rem; max-width:46rem }
.soft, figcaption, caption { color:var(--soft); font-size:.9rem }
section { background:var(--card); border:1px solid var(--line); border-radius:10px;
  padding:1.1rem 1.25rem; margin:1rem 0 }
.verdict { border-left:8px solid; }
.verdict p.line { font-size:1.35rem; font-weight:650; line-height:1.3; margin:0 0 .3rem;
  max-width:none }
.verdict.yes { border-left-color:var(--good) } .verdict.yes .word { color:var(--good) }
.verdict.no { border-left-color:var(--bad) } .verdict.no .word { color:var(--bad) }
ul.short { margin:.6rem 0 0; padding-left:1.2rem } ul.short li { margin:.2rem 0;
  max-width:52rem }
.tiles { display:grid; grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr)); gap:.75rem;
  margin-top:1rem }
.tile { border:1px solid var(--line); border-radius:8px; padding:.6rem .8rem }
.tile b { display:block; font-size:1.6rem; line-height:1.2; font-variant-numeric:tabular-nums }
.tile span { color:var(--soft); font-size:.85rem }
.scroll { overflow-x:auto }
.scroll:focus-visible { outline:2px solid var(--model) }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums;
  font-size:.92rem }
caption { text-align:left; padding-bottom:.35rem }
th, td { text-align:right; padding:.35rem .6rem; border-bottom:1px solid var(--line);
  white-space:nowrap }
th:first-child, td:first-child { text-align:left }
thead th { color:var(--soft); font-weight:600; font-size:.82rem }
tr.model th, tr.model td { font-weight:650; color:var(--model) }
td small { color:var(--soft); display:block; font-size:.75rem; font-weight:400 }
figure { margin:.6rem 0 1rem } svg { display:block; width:100%; max-width:38rem;
  height:auto }
svg text { fill:var(--ink); font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif }
svg .soft { fill:var(--soft); font-size:12px } svg .strong { font-weight:650; fill:var(--model) }
svg .grid { stroke:var(--grid) } svg .zero { stroke:var(--soft) } svg .axis { stroke:var(--line) }
.model-fill { fill:var(--model) } .model-line { stroke:var(--model) }
.other-fill { fill:var(--other) } .other-line { stroke:var(--other) }
.loss-line { stroke:var(--loss) } svg .loss-text { fill:var(--loss) }
.two { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));
  gap:0 2rem }
.items { display:grid; grid-template-columns:repeat(auto-fill,minmax(4.75rem,1fr)); gap:.5rem;
  list-style:none; margin:.2rem 0 .9rem; padding:0 }
.items li { font-size:.75rem; line-height:1.25; overflow-wrap:anywhere; border-radius:6px;
  padding:.25rem; border:1px solid transparent }
.items li.hit { background:var(--hit); border-color:var(--hit-line) }
.items img, .items .none { width:100%; aspect-ratio:1; object-fit:cover; border-radius:4px;
  display:block; background:var(--grid) }
.items .soft { font-size:inherit }
.items .mark { font-weight:650; color:var(--hit-line) }
.user { border-top:1px solid var(--line); padding-top:.7rem; margin-top:.7rem }
.legend { display:flex; flex-wrap:wrap; gap:.25rem 1.2rem; font-size:.85rem; color:var(--soft) }
.legend i { display:inline-block; width:.8em; height:.8em; border-radius:2px;
  margin-right:.4em; vertical-align:-.05em }
ol.next li { margin:.4rem 0; max-width:46rem }
code { font-size:.88em; overflow-wrap:anywhere }
details { margin-top:.8rem } details summary { cursor:pointer; font-weight:600 }
@media (max-width:34rem) { main { padding:.75rem .6rem 3rem } section { padding:.9rem .8rem }
  .verdict p.line { font-size:1.15rem } .tile b { font-size:1.35rem }
  svg text { font-size:14.5px } svg .soft { font-size:13.5px } }
@media print { body { background:#fff } section { break-inside:avoid } }
""".strip()
