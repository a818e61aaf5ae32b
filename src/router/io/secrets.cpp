#include "router/io/secrets.hpp"

#include <fstream>
#include <iterator>

namespace svc::router {
namespace {

constexpr std::size_t kMaxFileBytes = 16U << 20U;

Result<std::string> read_file(const std::string& key, const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in || text.size() > kMaxFileBytes) {
    return io_failed(key + ": cannot read '" + path + "'", "");
  }
  return text;
}

}  // namespace

Result<std::shared_ptr<const DataSettings>> load_secrets(const RouterSettings& settings, const DataSettings* previous) {
  auto made = std::make_shared<DataSettings>();
  made->settings = settings;
  if (settings.api_keys_file.empty()) {
    made->keys = std::make_shared<ApiKeys>();
  } else {
    auto text = read_file("api_keys_file", settings.api_keys_file);
    if (!text) {
      return text.error();
    }
    auto keys = ApiKeys::parse(*text, previous != nullptr ? previous->keys.get() : nullptr);
    if (!keys) {
      return wrap("api_keys_file '" + settings.api_keys_file + "'", keys.error());
    }
    made->keys = std::make_shared<ApiKeys>(*std::move(keys));
  }
  if (!settings.upstream_token_file.empty()) {
    auto text = read_file("upstream_token_file", settings.upstream_token_file);
    if (!text) {
      return text.error();
    }
    const auto begin = text->find_first_not_of(" \t\r\n");
    const auto end = text->find_last_not_of(" \t\r\n");
    if (begin == std::string::npos || text->find_first_of(" \t\r\n", begin) < end) {
      return invalid("upstream_token_file '" + settings.upstream_token_file + "' must hold one token and nothing else");
    }
    made->upstream_authorization = "Bearer " + text->substr(begin, end - begin + 1);
  }
  if (settings.tls.serves()) {
    auto tls = make_server_tls({settings.tls.cert, settings.tls.key, {}});
    if (!tls) {
      return tls.error();
    }
    made->server_tls = *std::move(tls);
  }
  auto tls = make_client_tls({"", "", settings.tls.ca});
  if (!tls) {
    return tls.error();
  }
  made->client_tls = *std::move(tls);
  return std::shared_ptr<const DataSettings>(std::move(made));
}

}  // namespace svc::router
