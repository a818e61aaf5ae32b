// One declaration per setting; from it follow the reading of the configuration file, the environment variable, the
// flag, --print-config and the table in the documentation. The targets are the members of a plain, defaulted struct
// that must outlive the table; apply in the order file, environment, flags (a later set wins). Start-up only, one
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "common/core/text_limits.hpp"

namespace svc {

class JsonReader;

class OptionTable {
 public:
  struct Option {
    std::string key;                        ///< "health_interval": name in the file, under the section
    std::string flag;                       ///< "--health-interval"
    std::string env;                        ///< "INFINILM_REGISTRY_HEALTH_INTERVAL"
    std::vector<std::string> flag_aliases;  ///< "--router-port", "-p": further names of the flag
    std::string env_alias;                  ///< another name of the variable, read when that is unset; "" if none
    std::string kind;    ///< "integer" "number" "duration" "text" "flag" "choice" "list" "map" "words" "environment"
    std::string bounds;  ///< "1 to 65535", "1s to 1h", "text, json", "" if none
    std::string help;    ///< one sentence
    std::string default_text;  ///< the target's value when declared, as set() would take it
    bool is_flag = false;      ///< may stand without a value on the command line
  };
  /// A value that came from a variable or a flag, as it was given.
  struct Override {
    std::string key, text, origin;
  };
  using TextMap = std::map<std::string, std::string, std::less<>>;
  /// Where in the file the user wrote the value of a key, when that is not SECTION.KEY: "command" -> "backend.command".
  using KeyPlaces = TextMap;
  using Getenv = std::function<std::optional<std::string>(const std::string&)>;

  /// section: prefix of messages, "registry"; env_prefix: "INFINILM_REGISTRY".
  OptionTable(std::string section, std::string env_prefix);
  ~OptionTable();
  OptionTable(OptionTable&&) noexcept;
  OptionTable& operator=(OptionTable&&) noexcept;
  OptionTable(const OptionTable&) = delete;
  OptionTable& operator=(const OptionTable&) = delete;

  // Declarations. Bounds are inclusive. Each key once; keys are lower case with '_'.
  template <class Int>
  OptionTable& integer(std::string key, Int& target, std::int64_t lo, std::int64_t hi, std::string help) {
    static_assert(std::is_integral_v<Int> && !std::is_same_v<Int, bool>);
    return add_integer(
        std::move(key), [&target] { return static_cast<std::int64_t>(target); },
        [&target](std::int64_t value) { target = static_cast<Int>(value); }, lo, hi, std::move(help));
  }
  OptionTable& number(std::string key, double& target, double lo, double hi, std::string help);
  OptionTable& duration(std::string key, Duration& target, Duration lo, Duration hi, std::string help);
  OptionTable& text(std::string key, std::string& target, TextLimits limits, std::string help);
  OptionTable& flag(std::string key, bool& target, std::string help);
  OptionTable& choice(std::string key, std::string& target, std::vector<std::string> values, std::string help);
  OptionTable& text_list(std::string key, std::vector<std::string>& target, std::string help);
  /// An object of strings; as text "name=value,name=value". Names and values are not empty.
  OptionTable& text_map(std::string key, TextMap& target, std::string help);
  /// Words for a program. In the file an array of strings, each whole, or a text; texts are split as split_words does.
  OptionTable& word_list(std::string key, std::vector<std::string>& target, std::string help);
  /// Variables for a program: an object of strings; as text "A=1,B=2", where a comma begins a new variable only when
  /// NAME= follows it, so that "GPUS=0,1" stays whole. Adds to what the target has; a name that comes again wins.
  OptionTable& environment(std::string key, TextMap& target, std::string help);
  /// Further names of a declared option, from an earlier implementation: "--router-port", "-p", "PROXY_TIMEOUT_SECONDS";
  /// "" = none. May be called again: flags add up.
  OptionTable& alias(std::string_view key, std::string flag, std::string env);

  /// The section's object. Unknown key: "unknown key 'registry.prot'; did you mean 'port'?". Values before the first
  /// bad one may already be set: an error here ends the start. Messages name a key by its place in `places`, if it has
  /// one there.
  [[nodiscard]] Result<void> read_json(const nlohmann::json& section_object, const KeyPlaces& places = {});
  /// Variables that are unset or empty change nothing. Errors name the variable.
  [[nodiscard]] Result<void> read_env(const Getenv& getenv);
  /// Text as in flags: booleans true/false/yes/no/on/off/1/0, lists and maps comma separated ("" = empty), words and
  /// variables as above.
  /// origin: how the user wrote it ("--port"), for the message. Unknown key: error with the nearest name.
  [[nodiscard]] Result<void> set(std::string_view key, std::string_view text, std::string_view origin);

  /// What read_env and set took, in order: set() on another table with these keys does the same there.
  [[nodiscard]] const std::vector<Override>& overrides() const { return overrides_; }

  /// In the order of declaration; valid until the next declaration.
  [[nodiscard]] std::span<const Option> options() const;
  /// The effective configuration; durations in seconds (an integer when whole), what read_json takes again.
  [[nodiscard]] nlohmann::ordered_json values() const;

 private:
  struct Access;
  OptionTable& add_integer(std::string key, std::function<std::int64_t()> get, std::function<void(std::int64_t)> put,
                           std::int64_t lo, std::int64_t hi, std::string help);
  OptionTable& add(Option option, Access access);
  [[nodiscard]] Result<void> set_at(std::size_t index, std::string_view text, std::string_view origin);
  /// What is text in the file where it may be: into its parts. False: the text is wrong.
  bool split_text(nlohmann::json& section, std::size_t index, JsonReader& reader) const;
  [[nodiscard]] Error unknown_option(std::string_view key, std::string_view origin) const;
  [[nodiscard]] std::optional<std::size_t> index_of(std::string_view key) const;

  std::string section_;
  std::string env_prefix_;
  std::vector<Option> options_;
  std::vector<Access> access_;  // one per option
  std::vector<Override> overrides_;
};

}  // namespace svc
