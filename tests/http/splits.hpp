// Runs a row of a table in every way that its bytes can arrive.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>

#include "http/trace.hpp"

namespace vesper::http {

struct Row {
  std::string_view name;
  std::string_view input;
  std::string_view expected;  // Tracer::brief
};

// Whole, cut in two at every byte, and byte by byte: the same outcome to the last field. Gives the
// brief trace. `to_head`: responses only.
inline std::string outcome_of_all_splits(Parser::Kind kind, std::string_view input,
                                         Limits limits = {}, bool to_head = false) {
  const auto start = [&] {
    auto tracer = std::make_unique<Tracer>(kind, limits);
    if (to_head) tracer->parser().expect_head_response();
    return tracer;
  };
  const auto whole = start();
  whole->feed(input);
  whole->finish();
  for (std::size_t cut = 1; cut < input.size(); ++cut) {
    const auto halves = start();
    halves->feed(input.substr(0, cut));
    halves->feed(input.substr(cut));
    halves->finish();
    CAPTURE(cut);
    REQUIRE(halves->full() == whole->full());
  }
  const auto bytes = start();
  for (std::size_t i = 0; i < input.size(); ++i) bytes->feed(input.substr(i, 1));
  bytes->finish();
  REQUIRE(bytes->full() == whole->full());
  return whole->brief();
}

template <std::size_t N>
void check_table(Parser::Kind kind, const Row (&rows)[N]) {
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(outcome_of_all_splits(kind, row.input) == row.expected);
  }
}

}  // namespace vesper::http
