// Internal to the option table: what it keeps of each option besides its description.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "common/core/option_table.hpp"

namespace svc {

/// How one option is read and printed. Flags and variables are turned into JSON by `lex` and then read by the same
/// `read`, so that every origin is checked by one rule.
struct OptionTable::Access {
  std::function<bool(JsonReader&, const std::string& key)> read;
  std::function<nlohmann::json(std::string_view text)> lex;
  std::function<nlohmann::ordered_json()> value;
  /// Of kinds that the file may hold as text, too: what is wrong with a text, to be put behind its name; "" = nothing.
  std::function<std::string(std::string_view text)> text_problem = {};
};

}  // namespace svc
