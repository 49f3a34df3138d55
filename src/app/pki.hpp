// Makes the files of a small private authority (`vesper pki`, `vesper dev --tls`).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/options.hpp"

namespace vesper::app {

// The files of a directory that make_certificates() has filled.
struct PkiFiles {
  std::string directory;

  std::string authority() const { return path("ca", "crt"); }
  std::string certificate(std::string_view host) const { return path(host, "crt"); }
  std::string key(std::string_view host) const { return path(host, "key"); }

 private:
  std::string path(std::string_view name, std::string_view ending) const;
};

// Writes the files, and none if one of them exists. Returns an exit code, after a complaint unless
// that is kExitOk. `written`: their paths.
int make_certificates(const PkiOptions& options, std::vector<std::string>& written);

}  // namespace vesper::app
