// A signature drawn by pen, finger or mouse, kept as an SVG path in the form's hidden field.
const canvas = document.querySelector("[data-signature]");
if (canvas) {
  const field = canvas.form?.elements.signature ?? canvas.closest("form").elements.signature;
  const pen = canvas.getContext("2d");
  pen.lineWidth = 2;
  let drawing = false;
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((n, i) =>
      Math.max(0, Math.round((n * (i ? canvas.height / box.height : canvas.width / box.width)) * 10) / 10));
  };
  canvas.addEventListener("pointerdown", (event) => {
    drawing = true;
    canvas.setPointerCapture(event.pointerId);
    const [x, y] = point(event);
    pen.beginPath();
    pen.moveTo(x, y);
    field.value += `${field.value ? " " : ""}M${x} ${y}`;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    const [x, y] = point(event);
    pen.lineTo(x, y);
    pen.stroke();
    field.value += ` L${x} ${y}`;
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { drawing = false; });
  document.querySelector("[data-clear-signature]").addEventListener("click", () => {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    field.value = "";
  });
}
