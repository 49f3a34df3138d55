#include "api/root.hpp"

#include "api/answer.hpp"
#include "json/writer.hpp"

namespace vesper::api {

void render_root(Context&, const HttpExchange&, Answer& answer) {
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

}  // namespace vesper::api
