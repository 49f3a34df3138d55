#include <doctest/doctest.h>

#include "app/cluster_file.hpp"
#include "app/endpoints.hpp"

using namespace vesper;
using namespace vesper::app;

namespace {

std::string urls_of(std::string_view text) {
  const auto file = parse_cluster_file(text, "list");
  REQUIRE_MESSAGE(file.ok(), file.error().what);
  std::string out;
  for (const http::HostPort& server : file.value().servers) out += server.url() + " ";
  return out;
}

std::string refused(std::string_view text) {
  const auto file = parse_cluster_file(text, "list");
  REQUIRE_FALSE(file.ok());
  return file.error().what;
}

}  // namespace

TEST_CASE("an id is the position of a line among the lines that name a server") {
  const auto file = parse_cluster_file(
      "# three nodes\n\nhttp://a:1\n  # spaces before\nhttp://b:2\n\n\nhttp://c:3", "list");
  REQUIRE(file.ok());
  CHECK(file.value().find(0).value().url() == "http://a:1");
  CHECK(file.value().find(2).value().url() == "http://c:3");
  CHECK(file.value().find(3).error().what ==
        "list:8: found server 2 as the last one, expected an id from 0 to 2, not 3");
  CHECK_FALSE(file.value().find(UINT64_MAX));
}

TEST_CASE("a slash, spaces, CRLF and a byte order mark are accepted") {
  CHECK(urls_of("\xef\xbb\xbfhttp://127.0.0.1:5000/\r\n \thttp://localhost:5001 \t\r\n\r\n") ==
        "http://127.0.0.1:5000 http://localhost:5001 ");
  CHECK(urls_of("http://127.0.0.1:1") == "http://127.0.0.1:1 ");
}

TEST_CASE("hosts that differ only in case or in the form of IPv6 are one server") {
  CHECK(urls_of("http://[0:0:0:0:0:0:0:1]:5000\nhttp://Node-1.example.COM:65535") ==
        "http://[::1]:5000 http://node-1.example.com:65535 ");
  CHECK(refused("http://[::1]:1\n\nhttp://[0::1]:1") ==
        "list:3: found \"http://[0::1]:1\", which is also in line 1, expected each host and port "
        "only once");
  CHECK(refused("http://a:1\nhttp://A:1/\n").rfind("list:2: ", 0) == 0);
  CHECK(urls_of("http://a:1\nhttp://a:2") == "http://a:1 http://a:2 ");
}

TEST_CASE("https:// means TLS, and a list that mixes both schemes says where") {
  CHECK(urls_of("https://a:1/\nhttps://[::1]:2") == "https://a:1 https://[::1]:2 ");
  CHECK(refused("http://a:1\nhttps://a:1").rfind("list:2: found", 0) == 0);
  const auto mixed_error = [](std::string_view text) {
    const auto file = parse_cluster_file(text, "list");
    const auto error = file->refuse_mixed();
    return error ? error->what : std::string();
  };
  CHECK(mixed_error("https://a:1\nhttps://b:1").empty());
  CHECK(mixed_error("http://a:1\nhttp://b:1").empty());
  CHECK(mixed_error("http://a:1\n# c\nhttps://b:1\nhttps://c:1").rfind("list:3: found https", 0) ==
        0);
  CHECK(mixed_error("https://a:1\nhttp://b:1").find("--allow-mixed") != std::string::npos);
}

TEST_CASE("the error about an invalid line names the line, what was found and what was expected") {
  for (const char* line : {"127.0.0.1:5000",
                           "ftp://a:1",
                           "https://a",
                           "https:///",
                           "HTTP://a:1",
                           "http://a",
                           "http://a:",
                           "http://a:0",
                           "http://a:65536",
                           "http://a:+1",
                           "http://a:01",
                           "http://a: 1",
                           "http://:1",
                           "http://a:1//",
                           "http://a:1/x",
                           "http://a:1?x",
                           "http://u@a:1",
                           "http://a b:1",
                           "http://[::1]",
                           "http://::1:1",
                           "http://[::1:1",
                           "http://[::g]:1",
                           "http://[::1]x:1",
                           "http://[]:1",
                           "http://1.2.3:1",
                           "http://1.2.3.256:1",
                           "http://5000:1",
                           "http://\xc3\xa4:1",
                           "http://a\x01:1",
                           "http://",
                           "http:///",
                           "http://a:1 # comment",
                           "http://a:1 http://b:1",
                           "http://a:99999999999999999999",
                           "x\xef\xbb\xbf",
                           "http://a:1:2"}) {
    CAPTURE(line);
    const std::string what = refused("# c\nhttp://ok:1\n" + std::string(line) + "\nhttp://z:1\n");
    CHECK(what.rfind("list:3: found \"", 0) == 0);
    CHECK(what.find(", expected http://host:port") != std::string::npos);
  }
  CHECK(refused(std::string("http://a:1\nhttp://a\0:1", 22)).rfind("list:2: found", 0) == 0);
}

TEST_CASE("a name with one dot at its end is the same name") {
  CHECK(urls_of("http://localhost.:5000\nhttp://Node-1.example.org.:1") ==
        "http://localhost:5000 http://node-1.example.org:1 ");
  CHECK(refused("http://a:1\nhttp://a.:1").rfind("list:2: found", 0) == 0);
  CHECK(parse_endpoint("localhost.:5000").value().url() == "http://localhost:5000");
  for (const char* line : {"http://.:1", "http://a..:1", "http://..:1", "http://1.2.3.:1"}) {
    CAPTURE(line);
    CHECK(refused(line).rfind("list:1: found \"", 0) == 0);
  }
}

TEST_CASE("an address that means every interface is refused, and the error names --listen") {
  for (const char* line : {"http://0.0.0.0:5000", "http://[::]:5000", "http://[0:0::0]:5000",
                           "http://[::ffff:0.0.0.0]:5000", "http://0.0.0.0.:5000"}) {
    CAPTURE(line);
    const std::string what = refused("http://a:1\n" + std::string(line));
    CHECK(what.rfind("list:2: found \"" + std::string(line) + "\"", 0) == 0);
    CHECK(what.find("--listen") != std::string::npos);
  }
  CHECK(urls_of("http://0.0.0.1:1\nhttp://[::1]:1") == "http://0.0.0.1:1 http://[::1]:1 ");
  CHECK(parse_host_port("0.0.0.0:5000").ok());  // --listen takes it
  CHECK(parse_host_port("[::]:5000").ok());
}

TEST_CASE("a list without a server, or with too many, is refused") {
  CHECK(refused("") ==
        "list:1: found no server, expected at least one line of the form http://host:port or "
        "https://host:port");
  CHECK(refused("# only\n\n").rfind("list:2: found no server", 0) == 0);
  std::string many;
  for (int i = 1; i <= 64; ++i) many += "http://a:" + std::to_string(i) + "\n";
  urls_of(many);
  CHECK(refused(many + "http://b:1") ==
        "list:65: found server number 65, expected at most 64 servers");
}

TEST_CASE("the error about a list that does not exist names it") {
  const auto file = read_cluster_file("/nonexistent/ip_list.txt");
  REQUIRE_FALSE(file.ok());
  CHECK(file.error().what == "/nonexistent/ip_list.txt: No such file or directory");
}

TEST_CASE("endpoints that are given twice are tried once") {
  const auto endpoints = parse_endpoints("a:1, http://A:1/ ,b:1,a:1");
  REQUIRE(endpoints.ok());
  REQUIRE(endpoints.value().size() == 2);
  CHECK(endpoints.value()[1].url() == "http://b:1");
}
