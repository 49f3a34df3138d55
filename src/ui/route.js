// Addresses of the page: "#/data?at=app%2F&key=app%2Fx". The values of parameters are names of
// bytes.js, or words. Pure.

export function parse_route(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const parameters = {};
  for (const part of search.split("&")) {
    const at = part.indexOf("=");
    if (at > 0) parameters[part.slice(0, at)] = part.slice(at + 1);
  }
  return {view: path, parameters};
}

// Parameters that are undefined or empty are left out.
export function route_of(view, parameters = {}) {
  const parts = Object.entries(parameters)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => `${name}=${value}`);
  return `#/${view}${parts.length === 0 ? "" : `?${parts.join("&")}`}`;
}
