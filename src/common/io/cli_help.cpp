#include "common/io/cli_help.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "common/core/option_table.hpp"

namespace svc {
namespace {

constexpr std::size_t kColumns = 100;
constexpr std::string_view kIndent = "      ";

void append_wrapped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    std::size_t length = text.size();
    if (length > kColumns - kIndent.size()) {
      const std::size_t blank = text.rfind(' ', kColumns - kIndent.size());
      length = blank == std::string_view::npos || blank == 0 ? text.find(' ') : blank;
      length = std::min(length, text.size());
    }
    out += kIndent;
    out += text.substr(0, length);
    out += '\n';
    text.remove_prefix(std::min(length + 1, text.size()));
  }
}

void append_flag(std::string& out, std::string_view flag, std::string_view value, std::string_view help) {
  out += "  ";
  out += flag;
  if (!value.empty()) {
    out += ' ';
    out += value;
  }
  out += '\n';
  append_wrapped(out, help);
}

std::string value_name(const OptionTable::Option& option) {
  std::string name = option.kind;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return option.is_flag ? "[true|false]" : name;
}

}  // namespace

std::string help_text(const CliSpec& spec, const OptionTable& options) {
  std::string out = spec.name + ": " + spec.description + "\n\nUsage: " + spec.name + " [FLAGS]\n\nGeneral:\n";
  const std::string also = spec.config_alias.empty() ? "" : "; also " + spec.config_alias;
  append_flag(out, "--config", "FILE",
              "Configuration file, JSON or TOML" + also + "; env " + spec.env_prefix + "_CONFIG");
  append_flag(out, "--check-config", "",
              "Check the configuration and the files it names, and exit: 0 when valid, 2 when not");
  append_flag(out, "--print-config", "", "Print the configuration in force as JSON and exit");
  append_flag(out, "--version", "", "Print the version and exit");
  append_flag(out, "--help, -h", "", "Print this text and exit");
  out += "\nSettings (key KEY_NAME of \"" + spec.section + "\" in the file, flag --key-name; flags win over the ";
  out += "environment,\nthe environment over the file):\n";
  for (const OptionTable::Option& option : options.options()) {
    std::string help = option.help;
    for (const std::string& alias : option.flag_aliases) help += "; also " + alias;
    if (!option.env_alias.empty()) help += "; also " + option.env_alias;
    if (!option.bounds.empty()) help += "; " + option.bounds;
    help += "; default " + (option.default_text.empty() ? "empty" : option.default_text);
    help += "; env " + option.env;
    append_flag(out, option.flag, value_name(option), help);
  }
  return out;
}

}  // namespace svc
