// Refusals of peers in the form that the public API gives to every error.
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

 private:
  api::Context& context_;
};

}  // namespace vesper::server
