#include "router/io/secrets.hpp"

#include "common/io/read_file.hpp"
#include "common/io/token_file.hpp"

namespace svc::router {
namespace {

constexpr std::size_t kMaxKeysFileBytes = 16U << 20U;

}  // namespace

Result<std::shared_ptr<const DataSettings>> load_secrets(const RouterSettings& settings, const DataSettings* previous) {
  auto made = std::make_shared<DataSettings>();
  made->settings = settings;
  if (settings.api_keys_file.empty()) {
    made->keys = std::make_shared<ApiKeyRing>();
  } else {
    const auto text = read_file(settings.api_keys_file, kMaxKeysFileBytes);
    if (!text) {
      return wrap("api_keys_file: cannot read '" + settings.api_keys_file + "'", text.error());
    }
    auto keys = parse_api_keys(*text);
    if (!keys) {
      return wrap("api_keys_file '" + settings.api_keys_file + "'", keys.error());
    }
    made->keys = std::make_shared<ApiKeyRing>(*std::move(keys), previous != nullptr ? previous->keys.get() : nullptr);
  }
  auto token = read_token_file(settings.upstream_token_file);
  if (!token) {
    return token.error();
  }
  if (!token->empty()) {
    made->upstream_authorization = "Bearer " + *token;
  }
  if (settings.tls.serves()) {
    auto tls = make_server_tls({settings.tls.cert, settings.tls.key, {}});
    if (!tls) {
      return tls.error();
    }
    made->server_tls = *std::move(tls);
  }
  auto tls = make_client_tls(settings.tls);
  if (!tls) {
    return tls.error();
  }
  made->client_tls = *std::move(tls);
  return std::shared_ptr<const DataSettings>(std::move(made));
}

}  // namespace svc::router
