// Runs before the first paint, so that the page never flashes in the wrong colours.
try {
  const theme = localStorage.getItem("potluck-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* a private window keeps nothing */ }
