#include "common/io/bearer_auth.hpp"

#include "common/core/wire/api_error.hpp"
#include "common/io/read_file.hpp"

namespace svc {
namespace {

constexpr std::size_t kMaxTokenFileBytes = 16U << 20U;

HttpResponse refused(int status, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body = error_body(message);
  if (status == 401) {
    response.fields.emplace_back("WWW-Authenticate", "Bearer");
  }
  return response;
}

}  // namespace

Result<void> BearerAuth::load(const std::string& file) {
  if (file.empty()) {
    tokens_ = {};
    return {};
  }
  const auto text = read_file(file, kMaxTokenFileBytes);
  if (!text) {
    return wrap("the token file '" + file + "' cannot be read", text.error());
  }
  auto tokens = BearerTokens::parse(*text);
  if (!tokens) {
    return wrap("the token file '" + file + "' is not valid", tokens.error());
  }
  tokens_ = *std::move(tokens);
  return {};
}

std::optional<HttpResponse> BearerAuth::refusal(Access needed, const HttpRequest& request) const {
  if (!enabled() || needed == Access::open) {
    return std::nullopt;
  }
  const auto value = request.field("Authorization");
  if (value.empty()) {
    return refused(401, "A bearer token is required");
  }
  const auto token = bearer_of(value);
  const auto scope = token ? tokens_.scope_of(*token) : std::nullopt;
  if (!scope) {
    return refused(401, "The bearer token is not valid");
  }
  if (needed == Access::write && *scope != TokenScope::write) {
    return refused(403, "This needs a token with write scope");
  }
  return std::nullopt;
}

}  // namespace svc
