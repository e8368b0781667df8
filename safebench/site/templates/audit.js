(() => {
  const sets = [...document.querySelectorAll("fieldset")];
  const chosen = (set) => set.querySelector("input:checked")?.value ?? "";
  const show = () => {
    const done = sets.filter(chosen).length;
    document.querySelector("output").value = `${done} of ${sets.length} labelled`;
  };
  document.addEventListener("change", show);
  document.querySelector("button").addEventListener("click", () => {
    const rows = ["id,label", ...sets.map((set) => `${set.id},${chosen(set)}`)];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([rows.join("\r\n") + "\r\n"], { type: "text/csv" }));
    link.download = "labels.csv";
    link.click();
  });
  show();
})();
