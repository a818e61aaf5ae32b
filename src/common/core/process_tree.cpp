#include "common/core/process_tree.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <unordered_map>

namespace svc {
namespace {

/// The next word up to a separator, taken off the front of `text`; "" at its end.
std::string_view take_word(std::string_view& text, std::string_view separators = " \t") {
  text.remove_prefix(std::min(text.find_first_not_of(separators), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(separators));
  text.remove_prefix(word.size());
  return word;
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

template <class Int>
bool read_number(std::string_view text, Int& value, int base = 10) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return failure == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::optional<ProcessFacts> parse_process_stat(std::string_view text) {
  // The name may hold anything, a ')' too: the fields begin after the last one.
  const std::size_t open = text.find(" (");
  const std::size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  ProcessFacts facts;
  if (!read_number(text.substr(0, open), facts.pid)) return std::nullopt;
  std::string_view rest = text.substr(close + 1);
  const std::string_view state = take_word(rest, " \n");
  if (state.size() != 1) return std::nullopt;
  facts.state = state.front();
  if (!read_number(take_word(rest, " \n"), facts.parent) || !read_number(take_word(rest, " \n"), facts.group) ||
      !read_number(take_word(rest, " \n"), facts.session)) {
    return std::nullopt;
  }
  // proc(5): the threads are field 20, the start time is 22 and rss 24; the session was 6.
  for (int skipped = 7; skipped < 20; ++skipped) take_word(rest, " \n");
  if (!read_number(take_word(rest, " \n"), facts.threads)) return std::nullopt;
  take_word(rest, " \n");
  if (!read_number(take_word(rest, " \n"), facts.start_ticks)) return std::nullopt;
  take_word(rest, " \n");
  if (!read_number(take_word(rest, " \n"), facts.rss_pages)) return std::nullopt;
  return facts;
}

bool has_ended(const ProcessFacts& process) {
  return process.state == 'X' || (process.state == 'Z' && process.threads <= 1);
}

std::vector<ProcessFacts> descendants_of(std::span<const ProcessFacts> all, pid_t root) {
  std::unordered_multimap<pid_t, const ProcessFacts*> children;
  for (const ProcessFacts& process : all) {
    if (process.pid != root) children.emplace(process.parent, &process);
  }
  std::vector<ProcessFacts> found;
  const auto add_children = [&](pid_t parent) {
    const auto [first, last] = children.equal_range(parent);
    for (auto child = first; child != last; ++child) found.push_back(*child->second);
    // Each process is added once, whatever circle a torn reading of /proc may show.
    children.erase(first, last);
  };
  add_children(root);
  for (std::size_t i = 0; i < found.size(); ++i) add_children(found[i].pid);
  return found;
}

std::size_t count_established(std::string_view net_tcp, std::uint16_t port) {
  std::size_t count = 0;
  take_line(net_tcp);  // the heading
  while (!net_tcp.empty()) {
    // "  0: 0100007F:1F90 0100007F:D2A4 01 ..."; 01 is TCP_ESTABLISHED.
    std::string_view line = take_line(net_tcp);
    take_word(line);
    const std::string_view local = take_word(line);
    take_word(line);
    const std::string_view state = take_word(line);
    const std::size_t colon = local.rfind(':');
    std::uint16_t local_port = 0;
    if (colon == std::string_view::npos || !read_number(local.substr(colon + 1), local_port, 16)) continue;
    if (local_port == port && state == "01") ++count;
  }
  return count;
}

std::uint64_t oom_kill_count(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    std::uint64_t count = 0;
    if (take_word(line) == "oom_kill" && read_number(take_word(line), count)) return count;
  }
  return 0;
}

std::string_view cgroup2_mount(std::string_view mountinfo) {
  while (!mountinfo.empty()) {
    // "36 35 98:0 /root /mount/point options optional-fields - type source options" (proc(5)).
    std::string_view line = take_line(mountinfo);
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    std::string_view type = line.substr(dash + 3);
    if (take_word(type) != "cgroup2") continue;
    for (int skipped = 0; skipped < 4; ++skipped) take_word(line);
    return take_word(line);
  }
  return {};
}

std::string_view cgroup2_path(std::string_view self_cgroup) {
  while (!self_cgroup.empty()) {
    const std::string_view line = take_line(self_cgroup);
    if (line.starts_with("0::")) return line.substr(3);
  }
  return {};
}

}  // namespace svc
