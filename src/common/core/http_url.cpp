#include "common/core/http_url.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "common/core/json_text.hpp"

namespace svc {
namespace {

constexpr std::size_t kMaxUrlBytes = 8192;

std::uint16_t default_port(bool tls) { return tls ? 443 : 80; }

Error bad_url(std::string_view text, std::string_view why) {
  return invalid("'" + valid_utf8(text.substr(0, 300)) + "' is not an http or https URL: " + std::string(why));
}

// Boost.URL has its own string_view in 1.81.
template <class View>
std::string owned(View view) {
  return std::string(view.data(), view.size());
}

}  // namespace

std::string HttpUrl::target() const {
  std::string out = path.empty() ? "/" : path;
  if (!query.empty()) out.append("?").append(query);
  return out;
}

std::string HttpUrl::host_field() const {
  if (endpoint.port != default_port(tls)) return endpoint.to_string();
  const bool brackets = endpoint.host.find(':') != std::string::npos;
  return brackets ? "[" + endpoint.host + "]" : endpoint.host;
}

std::string HttpUrl::to_string() const {
  std::string out = tls ? "https://" : "http://";
  out.append(host_field()).append(path);
  if (!query.empty()) out.append("?").append(query);
  return out;
}

Result<HttpUrl> parse_http_url(std::string_view text) {
  if (text.size() > kMaxUrlBytes) return bad_url(text, "it is longer than 8192 bytes");
  const auto parsed = boost::urls::parse_uri(boost::core::string_view(text.data(), text.size()));
  if (parsed.has_error()) return bad_url(text, "it does not parse");
  const boost::urls::url_view& view = *parsed;

  HttpUrl url;
  if (view.scheme_id() == boost::urls::scheme::https) {
    url.tls = true;
  } else if (view.scheme_id() != boost::urls::scheme::http) {
    return bad_url(text, "the scheme must be http or https");
  }
  if (!view.has_authority()) return bad_url(text, "the host is missing");
  if (view.has_userinfo()) return bad_url(text, "it must not carry a user name or password");
  if (view.has_fragment()) return bad_url(text, "it must not have a fragment ('#')");

  std::string host = owned(view.encoded_host());
  if (host.empty()) return bad_url(text, "the host is missing");
  if (!valid_host(host)) return bad_url(text, "the host is not valid");
  if (host.front() == '[') host = host.substr(1, host.size() - 2);
  url.endpoint.host = std::move(host);
  url.endpoint.port = default_port(url.tls);
  if (view.has_port() && !parse_port(owned(view.port()), url.endpoint.port)) {
    return bad_url(text, "the port must be a number from 1 to 65535");
  }
  url.path = owned(view.encoded_path());
  // Boost.URL 1.81 lets "http://a:8x/" through as port 8 and path "x/".
  if (!url.path.empty() && url.path.front() != '/') return bad_url(text, "it does not parse");
  if (view.has_query()) url.query = owned(view.encoded_query());
  return url;
}

}  // namespace svc
