// /: what this is and where to go on.
#include "json/writer.hpp"
#include "server/api.hpp"

namespace vesper::server {

void render_root(Answer& answer) {
  json::Writer json(answer.body);
  json.begin_object();
  json.key("name");
  json.string("vesper");
  json.key("version");
  json.string(VESPER_VERSION);
  json.key("put");
  json.string("curl -X PUT -d VALUE http://HOST:PORT/kv/KEY");
  json.key("get");
  json.string("curl http://HOST:PORT/kv/KEY");
  for (const std::string_view path : {"status", "livez", "readyz", "metrics"}) {
    json.key(path);
    json.string(std::string("/").append(path));
  }
  json.end_object();
  answer.body += '\n';
}

}  // namespace vesper::server
