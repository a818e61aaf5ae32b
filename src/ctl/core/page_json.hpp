// Lenient reads out of the pages of daemons, which may be those of earlier implementations: what is absent or of another
// kind is "" or nullopt.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace svc::ctl {

/// A page that is one JSON object.
[[nodiscard]] std::optional<nlohmann::json> page_object(std::string_view body);

/// nullptr: absent, or null.
[[nodiscard]] const nlohmann::json* member(const nlohmann::json& object, const char* key);
/// The objects in the array at `key`.
[[nodiscard]] std::vector<const nlohmann::json*> objects(const nlohmann::json& object, const char* key);
[[nodiscard]] std::string text(const nlohmann::json& object, const char* key);
[[nodiscard]] std::vector<std::string> texts(const nlohmann::json& object, const char* key);
[[nodiscard]] bool flag(const nlohmann::json& object, const char* key);
[[nodiscard]] std::optional<double> number(const nlohmann::json& object, const char* key);
[[nodiscard]] std::optional<std::int64_t> integer(const nlohmann::json& object, const char* key);
/// A number, or the text of one, as an earlier registry kept it; 0 when it is none.
[[nodiscard]] std::uint16_t port(const nlohmann::json& object, const char* key);

}  // namespace svc::ctl
