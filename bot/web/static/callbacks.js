// Ticking several callbacks: how many are ticked is told, one tick takes them all.
const several = document.getElementById("several");
const boxes = () => [...document.querySelectorAll("input[name=chosen]")];
function count() {
  const chosen = boxes().filter((box) => box.checked).length;
  const told = several.querySelector("[data-chosen]");
  told.textContent = told.dataset.chosen = String(chosen);
  for (const button of several.querySelectorAll("button")) button.disabled = chosen === 0;
}
document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-all]")) for (const box of boxes()) box.checked = target.checked;
  if (target.matches("[data-all], input[name=chosen]")) count();
});
new MutationObserver(count).observe(document.querySelector("[data-section=callbacks]"), { childList: true });
count();
