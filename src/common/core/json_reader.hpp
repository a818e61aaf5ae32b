// Typed reads from a JSON object that came from outside, with messages that name the place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "common/core/text_limits.hpp"

namespace svc {

struct JsonLimits {
  std::size_t max_depth = 64;  ///< of nested arrays and objects; 1 = a flat object
};

/// Parses one JSON text (RFC 8259; a leading byte order mark is skipped). Refused: anything after the value, raw NUL,
/// invalid UTF-8, numbers beyond a double or of more than 1024 digits in a row, more depth than the limit. Duplicate
/// keys: the last wins. Never throws, does not recurse, linear in the text. Error: client's, "invalid JSON at line 3,
/// column 14: ...", never longer than about 250 bytes, and without anything of the text itself.
[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text, JsonLimits limits = {});

/// One object and its path. Each read returns true when the key was there and good, and only then writes the target.
/// An absent key or null leaves the target alone and is no error. Only the FIRST error is kept: read everything, then
/// look at error(). The object must outlive the reader.
/// Messages: "'registry.port' must be an integer from 1 to 65535, got \"abc\"".
class JsonReader {
 public:
  /// path: "" for the top, else "registry", "servers[3]". Something other than an object is the first error.
  JsonReader(const nlohmann::json& object, std::string path);

  /// A string; limits are in bytes.
  bool text(std::string_view key, std::string& target, TextLimits limits = {});
  /// An integer, also as 30.0 or 3e1 (JSON has one number type); bounds inclusive and within T.
  template <class T>
  bool integer(std::string_view key, T& target, std::int64_t lo, std::int64_t hi) {
    static_assert(std::is_integral_v<T> && !std::is_same_v<T, bool>);
    std::int64_t value = 0;
    if (!read_integer(key, value, lo, hi)) return false;
    target = static_cast<T>(value);
    return true;
  }
  bool number(std::string_view key, double& target, double lo, double hi);
  bool flag(std::string_view key, bool& target);
  /// A number of seconds, or text as parse_duration reads it.
  bool duration(std::string_view key, Duration& target, Duration lo, Duration hi);
  /// One of the given words, exactly.
  bool choice(std::string_view key, std::string& target, std::span<const std::string> words);
  /// An array of strings; replaces the target whole.
  bool text_list(std::string_view key, std::vector<std::string>& target, TextLimits each = {},
                 std::size_t max_items = std::numeric_limits<std::size_t>::max());
  /// The object at key; nullptr when absent, null or (with an error) not an object.
  const nlohmann::json* object(std::string_view key);
  /// The array at key; likewise.
  const nlohmann::json* array(std::string_view key);

  /// Error "Missing required field: path.key" unless the key is there and not null.
  bool required(std::string_view key);
  /// Error "unknown key 'a.b.prot'; did you mean 'port'?" for a key that is not in the list.
  bool known(std::span<const std::string_view> keys);
  /// For rules of the caller: "'path.key' " + rule. Kept only if it is the first.
  void fail(std::string_view key, std::string_view rule);
  /// The error of a reader of something inside. Kept only if it is the first.
  void adopt(const Error& inner) {
    if (!error_) error_ = inner;
  }

  [[nodiscard]] std::optional<Error> error() const { return error_; }
  /// "path.key", for messages.
  [[nodiscard]] std::string path_of(std::string_view key) const;

 private:
  bool read_integer(std::string_view key, std::int64_t& target, std::int64_t lo, std::int64_t hi);
  const nlohmann::json* find(std::string_view key) const;
  bool refuse(std::string_view key, std::string_view expected, const nlohmann::json& got);
  bool text_fits(std::string_view key, const nlohmann::json& value, TextLimits limits);

  const nlohmann::json* object_;  // nullptr when what was given is no object
  std::string path_;
  std::optional<Error> error_;
};

}  // namespace svc
