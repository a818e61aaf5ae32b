#include "common/core/registry_url.hpp"

#include "common/core/http_url.hpp"

namespace svc {

Result<std::string> registry_base(std::string_view text) {
  constexpr std::string_view kList = "/services";
  const auto trim = [&text] {
    while (text.ends_with('/')) text.remove_suffix(1);
  };
  trim();
  if (text.ends_with(kList)) text.remove_suffix(kList.size());
  trim();
  const auto url = parse_http_url(text);
  if (!url) return url.error();
  if (!url->query.empty()) return invalid("must not have a query, got '" + std::string(text) + "'");
  return std::string(text);
}

}  // namespace svc
