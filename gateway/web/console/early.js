// Before the first paint: the theme and the language that were chosen, else the system's and the browser's.
{
  const root = document.documentElement;
  const theme = localStorage.getItem("theme");
  if (theme) root.dataset.theme = theme;
  const language = localStorage.getItem("language") || navigator.language;
  root.lang = language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
}
