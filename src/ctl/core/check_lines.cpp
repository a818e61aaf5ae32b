#include "ctl/core/check_lines.hpp"

#include <algorithm>
#include <cstdio>

#include "ctl/core/text_table.hpp"

namespace svc::ctl {
namespace {

using Mark = CheckLine::Verdict;

const char* mark(Mark verdict) {
  switch (verdict) {
    case Mark::good: return "✓";
    case Mark::note: return "!";
    case Mark::bad: return "✗";
  }
  return "";
}

auto count(const std::vector<CheckLine>& lines, Mark verdict) {
  return std::count_if(lines.begin(), lines.end(),
                       [verdict](const CheckLine& line) { return line.verdict == verdict; });
}

}  // namespace

std::string check_text(const CheckLine& line) {
  return printable(std::string(mark(line.verdict)) + " " + line.subject + ": " + line.text);
}

std::string check_summary(const std::vector<CheckLine>& lines) {
  const auto notes = count(lines, Mark::note);
  return std::to_string(lines.size()) + " checks, " + std::to_string(notes) + (notes == 1 ? " note, " : " notes, ") +
         std::to_string(count(lines, Mark::bad)) + " bad";
}

bool all_good(const std::vector<CheckLine>& lines) { return count(lines, Mark::bad) == 0; }

CheckLine judge_space(const std::string& folder, std::uint64_t free_bytes) {
  constexpr double kGiB = 1024.0 * 1024 * 1024;
  const double free = static_cast<double>(free_bytes) / kGiB;
  char text[64];
  std::snprintf(text, sizeof text, "%.1f GiB free", free);
  CheckLine line{Mark::good, "disk of " + folder, text};
  if (free < 1) {
    line.verdict = Mark::bad;
    line.text += ": logs and the registry's store need more";
  } else if (free < 5) {
    line.verdict = Mark::note;
    line.text += ": little for logs";
  }
  return line;
}

}  // namespace svc::ctl
