// What goes on, looked at every two seconds while the page is in view.
function watch() {
  const body = one("#counts"), writer = one("#writer");
  if (!body) return;
  const home = one("nav.toc a").getAttribute("href");
  let last = null;
  const line = (what, count_, rate) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = what;
    row.append(head);
    for (const text of [count(count_), rate]) {
      const cell = document.createElement("td");
      cell.className = "n";
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  };
  const look = async () => {
    if (document.hidden) return;
    let now;
    try {
      const answer = await fetch(`${home}now`);
      if (!answer.ok) { writer.textContent = `${(await answer.text()).trim()}.`; return; }
      now = await answer.json();
    } catch {
      writer.textContent = "The server has ended.";
      return;
    }
    const at = performance.now();
    const counts = { "stages decided": now.stages, "trainings finished": now.trainings };
    for (const [name, rows] of Object.entries(now.evidence)) counts[`rows measured by ${name}`] = rows;
    const told = now.writer ? `Being written by ${now.writer}.` : "No writer is seen at this store.";
    if (writer.textContent !== told) writer.textContent = told;
    const rate = (what, n) => {
      const gained = last && what in last.counts ? n - last.counts[what] : 0;
      return gained > 0 ? ((1000 * gained) / (at - last.at)).toPrecision(3) : "";
    };
    body.replaceChildren(...Object.entries(counts).map(([what, n]) => line(what, n, rate(what, n))));
    last = { at, counts };
  };
  look();
  setInterval(look, 2000);
}

theme(); tips(); watch();
