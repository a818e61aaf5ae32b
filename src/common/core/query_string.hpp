// The query part of a request target, decoded (application/x-www-form-urlencoded: '+' is a space).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace svc {

class QueryString {
 public:
  /// `raw` is what follows '?', without it. Never fails: names or values that do not decode are kept as they are.
  /// At most 256 pairs are kept.
  explicit QueryString(std::string_view raw);

  /// The first value of that name; "" for "name" and "name=".
  [[nodiscard]] std::optional<std::string> get(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

}  // namespace svc
