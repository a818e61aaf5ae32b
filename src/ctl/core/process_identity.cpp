#include "ctl/core/process_identity.hpp"

#include <algorithm>
#include <charconv>

namespace svc::ctl {
namespace {

std::string_view base_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view first_word(std::string_view words) { return words.substr(0, words.find('\0')); }

bool has_variable(std::string_view environment, std::string_view wanted) {
  while (!environment.empty()) {
    const std::string_view variable = first_word(environment);
    if (variable == wanted) return true;
    environment.remove_prefix(std::min(variable.size() + 1, environment.size()));
  }
  return false;
}

}  // namespace

std::string part_marker(std::string_view pid_file) {
  constexpr std::string_view kEnding = ".pid";
  if (pid_file.ends_with(kEnding)) pid_file.remove_suffix(kEnding.size());
  return std::string(pid_file);
}

bool is_part(const ProcessTexts& process, std::string_view program, std::string_view marker) {
  constexpr std::string_view kDeleted = " (deleted)";
  std::string_view exe = process.exe;
  if (exe.ends_with(kDeleted)) exe.remove_suffix(kDeleted.size());
  if (base_name(exe) != program || base_name(first_word(process.cmdline)) != program) return false;
  return has_variable(process.environ, std::string(kPartVariable) + "=" + std::string(marker));
}

int parse_pid(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with(' ') || text.ends_with('\r')) text.remove_suffix(1);
  int pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc() && end == text.data() + text.size() && pid > 0 ? pid : 0;
}

}  // namespace svc::ctl
