// Checks bearer tokens of requests against a token file. Decided before a body is read.
#pragma once

#include <optional>
#include <string>

#include "common/core/bearer_tokens.hpp"
#include "common/io/http_server.hpp"

namespace svc {

class BearerAuth {
 public:
  /// Reads the file ("" = no tokens, everything is allowed). On an error what was in force stays.
  Result<void> load(const std::string& file);

  bool enabled() const { return !tokens_.empty(); }
  /// nullopt = allowed; else 401 (no or unknown token) or 403 (scope).
  std::optional<HttpResponse> refusal(Access needed, const HttpRequest& request) const;

 private:
  BearerTokens tokens_;
};

}  // namespace svc
