// What goes on, looked at every two seconds while the page is in view.
function watch() {
  const body = one("#counts"), writer = one("#writer");
  if (!body) return;
  const home = one("nav.toc a").getAttribute("href");
  const looks = []; // of the last minute: what is measured is published in pieces
  const line = (what, count_, rate) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    const [, signal, id] = what.match(/^(rows measured by .*)-([^-]+)$/) || [];
    head.textContent = signal || what;
    if (id) {
      const small = document.createElement("span");
      small.className = "id";
      small.textContent = id;
      head.append(small);
    }
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
    one("#fresh").hidden = now.runs === Number(one("#fresh").dataset.runs);
    const at = performance.now();
    const counts = { "stages decided": now.stages, "trainings finished": now.trainings };
    for (const [name, rows] of Object.entries(now.evidence)) counts[`rows measured by ${name}`] = rows;
    const told = now.writer ? `Being written by ${now.writer}.` : "No writer is seen at this store.";
    if (writer.textContent !== told) writer.textContent = told;
    const rate = (what, n) => {
      const since = looks.find((look) => what in look.counts);
      const gained = now.writer && since ? n - since.counts[what] : 0;
      return gained > 0 ? number(Number(((1000 * gained) / (at - since.at)).toPrecision(2))) : "";
    };
    body.replaceChildren(...Object.entries(counts).map(([what, n]) => line(what, n, rate(what, n))));
    looks.push({ at, counts });
    if (looks.length > 30) looks.shift();
  };
  look();
  setInterval(look, 2000);
}

theme(); tips(); watch();
