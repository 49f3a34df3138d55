// GET /metrics: what is there only in a certain state.
#include <doctest/doctest.h>

#include <string>

#include "api/metrics_page.hpp"

using namespace vesper;

TEST_CASE("a node whose state has diverged shows the index and both digests") {
  node::Status status;
  const auto page = [&] {
    std::string out;
    api::append_node_metrics(status, out);
    return out;
  };
  CHECK(page().find("\nvesper_diverged 0\n") != std::string::npos);
  CHECK(page().find("divergence_info") == std::string::npos);
  status.divergence = node::Divergence{raft::Index(7), Id128{1, 2}, Id128{3, 4}};
  CHECK(page().find("\nvesper_diverged 1\n") != std::string::npos);
  CHECK(page().find("\nvesper_divergence_info{index=\"7\","
                    "digest=\"00000000000000010000000000000002\","
                    "majority_digest=\"00000000000000030000000000000004\"} 1\n") !=
        std::string::npos);
}
