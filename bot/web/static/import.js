// A list is read as soon as it is chosen or dropped; a column's meaning shows at once in what would be imported.

for (const form of document.querySelectorAll("form[data-drop]")) {
  const file = form.querySelector("input[type=file]");
  const read = () => {
    if (!file.files.length) return;
    form.querySelector("[data-reading]").hidden = false;
    form.requestSubmit();
  };
  file.addEventListener("change", read);
  for (const kind of ["dragenter", "dragover"]) {
    form.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("over"); });
  }
  form.addEventListener("dragleave", (event) => { if (!form.contains(event.relatedTarget)) form.classList.remove("over"); });
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    file.files = event.dataTransfer.files;
    read();
  });
}

for (const form of document.querySelectorAll("form[data-columns]")) {
  const seen = form.querySelector("[data-preview]");
  let asked = 0;
  form.addEventListener("change", async () => {
    const mine = ++asked;
    const headers = { Accept: "text/html; fragment, application/json" };
    const answer = await fetch(form.dataset.columns, { method: "POST", body: new URLSearchParams(new FormData(form)), headers }).catch(() => null);
    if (mine !== asked || !answer) return;
    if (answer.ok) { seen.innerHTML = await answer.text(); return; }
    const said = document.createElement("p");
    said.className = "notice warn";
    said.textContent = (await answer.json().catch(() => ({}))).error ?? "";
    seen.replaceChildren(said);
  });
}
