// Formats the refusals of peers like every error of the public API (api/problem.hpp), and parses
// theirs.
#pragma once

#include <string>
#include <string_view>

#include "api/context.hpp"
#include "peer/settings.hpp"

namespace vesper::server {

class ProblemFormat final : public peer::RefusalFormat {
 public:
  explicit ProblemFormat(api::Context& context) : context_(context) {}

  const std::string& standard_fields() override { return context_.standard_fields(); }
  void append_body(std::string& out, const peer::Refusal& refusal) override;
  peer::Refusal read_body(std::string_view body) override;
  void report(const peer::Refusal& refusal, const std::string& from) override;

 private:
  api::Context& context_;
};

}  // namespace vesper::server
