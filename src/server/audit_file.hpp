// The file of --audit-log. Lines are appended. What a pipe does not take is kept up to a bound,
// then dropped and counted; what a disk does not take is dropped and counted, and the log says why.
// The server goes on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "api/audit.hpp"
#include "base/log_output.hpp"
#include "base/result.hpp"

namespace vesper::server {

class AuditFile final : public api::AuditSink {
 public:
  explicit AuditFile(std::string path) : path_(std::move(path)) {}
  ~AuditFile() override { close(); }
  AuditFile(const AuditFile&) = delete;
  AuditFile& operator=(const AuditFile&) = delete;

  // Opens the file, or opens it again after it was moved away. After an error, the file that was
  // open stays so.
  Result<void> open();
  void write(std::string_view line) override;
  bool waiting() const { return output_ != nullptr && output_->waiting(); }
  void flush();
  // Lines that were dropped so far.
  std::uint64_t dropped() const;

 private:
  void close();
  void report();

  const std::string path_;
  int fd_ = -1;
  std::unique_ptr<log::LogOutput> output_;
  std::uint64_t dropped_before_ = 0;  // of files that were open before
  int failure_ = 0;                   // as last reported
};

}  // namespace vesper::server
