"""The inspection page's style sheet: light and dark, wide and narrow, nothing from elsewhere."""

from __future__ import annotations

__all__ = ["CSS"]

CSS = """
:root { color-scheme: light dark; --page:#f7f7f5; --card:#fff; --ink:#1a1d21; --soft:#555c66;
  --line:#dcdfe3; --chip:#eef0f3; --train:#0b5cad; --validation:#b8860b; --test:#a3291f;
  --old:#9aa2ab; --warn:#a3291f; --warn-back:#fbe7e4; --note:#6b5400; --note-back:#fff3cd;
  --good:#14693a; }
@media (prefers-color-scheme: dark) { :root { --page:#14171a; --card:#1d2125; --ink:#e9ecef;
  --soft:#a8b0b9; --line:#383f46; --chip:#2b3137; --train:#6cb2ff; --validation:#e5c15a;
  --test:#ff9d92; --old:#6d757e; --warn:#ff9d92; --warn-back:#43201c; --note:#e5c15a;
  --note-back:#3d3314; --good:#7ddba0; } }
* { box-sizing:border-box }
body { margin:0; background:var(--page); color:var(--ink);
  font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif }
main { max-width:72rem; margin:0 auto; padding:1.5rem 1rem 4rem }
h1 { font-size:1.5rem; margin:0 0 .2rem; overflow-wrap:anywhere } h2 { font-size:1.2rem; margin:0 }
h3 { font-size:.95rem; margin:0; overflow-wrap:anywhere } .scroll + h3 { margin-top:1.2rem }
p { margin:.3rem 0 .8rem; max-width:48rem } .soft, small { color:var(--soft); font-size:.85rem }
section { background:var(--card); border:1px solid var(--line); border-radius:10px;
  padding:1.1rem 1.25rem; margin:1rem 0 }
.tiles { display:grid; grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr)); gap:.75rem;
  margin-top:.8rem }
.tile { border:1px solid var(--line); border-radius:8px; padding:.5rem .8rem }
.tile b { display:block; font-size:1.45rem; line-height:1.25; font-variant-numeric:tabular-nums }
.tile span { color:var(--soft); font-size:.85rem }
ul.anomalies { list-style:none; margin:.6rem 0 0; padding:0 }
ul.anomalies li { border-left:5px solid var(--note); background:var(--note-back);
  border-radius:4px; padding:.45rem .8rem; margin:.4rem 0; overflow-wrap:anywhere }
ul.anomalies li.warning { border-color:var(--warn); background:var(--warn-back) }
.fine { color:var(--good); font-weight:600 }
.scroll { overflow-x:auto } table { border-collapse:collapse; width:100%;
  font-variant-numeric:tabular-nums; font-size:.9rem }
th, td { text-align:right; padding:.3rem .6rem; border-bottom:1px solid var(--line);
  white-space:nowrap }
th:first-child, td:first-child { text-align:left }
td.wide { white-space:normal; min-width:16rem; overflow-wrap:anywhere }
thead th { color:var(--soft); font-size:.82rem; font-weight:600 }
td.left, th.left { text-align:left }
.grid { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr));
  gap:1rem; margin-top:.8rem }
.box { border:1px solid var(--line); border-radius:8px; padding:.7rem .9rem; min-width:0 }
svg { display:block; width:100%; height:auto } svg text { fill:var(--soft); font-size:11px;
  font-family:system-ui,sans-serif }
.train { fill:var(--train) } .validation { fill:var(--validation) } .test { fill:var(--test) }
.old { fill:var(--old) } .wave path { stroke:var(--train); stroke-width:1.2; fill:none }
.axis { stroke:var(--line) }
.legend { display:flex; flex-wrap:wrap; gap:.2rem 1.2rem; font-size:.85rem; color:var(--soft) }
.legend i { display:inline-block; width:.8em; height:.8em; border-radius:2px; margin-right:.4em }
.ends { display:flex; justify-content:space-between; color:var(--soft); font-size:.8rem }
.bar { background:var(--chip); border-radius:3px; height:.7rem; min-width:5rem; overflow:hidden }
.bar b { display:block; height:100%; background:var(--train) }
dl { margin:.5rem 0 0; display:grid; grid-template-columns:fit-content(7rem) minmax(0,1fr);
  gap:.35rem .8rem;
  font-size:.88rem } dt { color:var(--soft); overflow-wrap:anywhere }
dd { margin:0; min-width:0; overflow-wrap:anywhere }
dd i { font-style:normal; background:var(--chip); border-radius:4px; padding:0 .3em;
  display:inline-block; margin:.08rem 0 } dd img { max-width:100%; height:auto; min-width:64px;
  border-radius:4px; vertical-align:middle; image-rendering:auto }
.none { color:var(--soft); font-style:italic }
@media (max-width:34rem) { main { padding:.75rem .6rem 3rem } section { padding:.9rem .8rem }
  th, td { padding:.3rem .35rem } }
@media print { section { break-inside:avoid } }
""".strip()
