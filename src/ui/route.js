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

// "?a=1&b=2" from parameters that are percent-encoded already. Empty ones are left out.
export function query(parameters) {
  const parts = Object.entries(parameters)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => value === true ? name : `${name}=${value}`);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

export function route_of(view, parameters = {}) {
  return `#/${view}${query(parameters)}`;
}
