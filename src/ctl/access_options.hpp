// The flags of every command that asks daemons: the token and the certificates.
#pragma once

#include <string>

#include "common/core/result.hpp"
#include "ctl/io/pages.hpp"

namespace CLI {
class App;
}

namespace svc::ctl {

struct AccessOptions {
  std::string token_file;
  std::string tls_ca;

  /// Declares --token-file and --tls-ca; this object must outlive `app`'s parsing.
  void declare(CLI::App& app);
  /// Reads the files.
  [[nodiscard]] Result<Pages> open() const;
};

}  // namespace svc::ctl
