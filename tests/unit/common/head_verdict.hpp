// check_head's verdict as one string, for tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/header_rules.hpp"

namespace svc::test {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// "" = accepted; else "400 message".
inline std::string verdict(std::string_view method, std::string_view target, int version, const Fields& fields,
                           const HeadLimits& limits = {}) {
  std::vector<FieldView> views;
  views.reserve(fields.size());
  for (const auto& [name, value] : fields) views.push_back(FieldView{name, value});
  const auto refusal = check_head(HeadView{method, target, version, views}, limits);
  return refusal ? std::to_string(refusal->status) + " " + refusal->message : "";
}

inline std::string with_fields(Fields fields) {
  fields.insert(fields.begin(), {"Host", "localhost:8081"});
  return verdict("POST", "/services", 11, fields);
}

inline std::string with_host(const std::string& host) { return verdict("GET", "/", 11, {{"Host", host}}); }

inline std::string with_target(const std::string& target, std::string_view method = "GET") {
  return verdict(method, target, 11, {{"Host", "a"}});
}

}  // namespace svc::test
