#include "ctl/core/dry_run_text.hpp"

#include <algorithm>

#include "common/core/words.hpp"

namespace svc::ctl {
namespace {

/// "  command of rank 1: VALUE": the value when the line is of this kind, else "".
std::string_view value_of(std::string_view line, std::string_view kind) {
  constexpr std::string_view kIndent = "  ";
  if (!line.starts_with(kIndent)) return {};
  line.remove_prefix(kIndent.size());
  if (!line.starts_with(kind)) return {};
  line.remove_prefix(kind.size());
  constexpr std::string_view kOfRank = " of rank ";
  if (line.starts_with(kOfRank)) {
    line.remove_prefix(std::min(line.find_first_not_of("0123456789", kOfRank.size()), line.size()));
  }
  constexpr std::string_view kBefore = ": ";
  if (!line.starts_with(kBefore)) return {};
  return line.substr(kBefore.size());
}

/// "POST http://h:1/services {...}" -> "http://h:1"
std::string registry_of(std::string_view registered) {
  constexpr std::string_view kPost = "POST ";
  if (!registered.starts_with(kPost)) return {};
  registered.remove_prefix(kPost.size());
  return std::string(registered.substr(0, registered.find("/services ")));
}

}  // namespace

DryRun parse_dry_run(std::string_view text) {
  DryRun found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (const auto command = value_of(line, "command"); !command.empty()) found.commands.emplace_back(command);
    if (const auto folder = value_of(line, "folder"); !folder.empty()) found.work_dir = folder;
    if (const auto log = value_of(line, "log"); !log.empty()) found.log_file = log;
    if (const auto registered = value_of(line, "registered"); !registered.empty()) {
      found.registry_url = registry_of(registered);
    }
  }
  return found;
}

std::string program_of(std::string_view command) {
  const auto words = split_words(command);
  return words && !words->empty() ? words->front() : "";
}

}  // namespace svc::ctl
