#include "bench/routing/comparison.hpp"

#include <algorithm>
#include <iomanip>
#include <sstream>

namespace svc::routing {
namespace {

constexpr int kNumber = 9;

class Lines {
 public:
  explicit Lines(std::size_t name_width) : name_width_(static_cast<int>(name_width)) { text_ << std::fixed; }

  void head() {
    text_ << std::setw(7) << "engines" << std::setw(8) << "load" << std::setw(8) << "rate"
          << "  ";
    name("policy");
    for (const auto* title : {"ttft", "p50", "p99", "slo %", "ms/token", "latency", "p99", "held", "cached %"}) {
      text_ << std::setw(kNumber) << title;
    }
    text_ << '\n';
  }

  void place(const std::string& engines, const std::optional<double>& load, const std::optional<double>& rate) {
    text_ << std::setw(7) << engines;
    number(load, 2, 8);
    number(rate, 3, 8);
    text_ << "  ";
  }
  void name(std::string_view name) { text_ << std::left << std::setw(name_width_) << name << std::right; }
  void number(const std::optional<double>& value, int digits = 2, int width = kNumber) {
    if (value) {
      text_ << std::setw(width) << std::setprecision(digits) << *value;
    } else {
      text_ << std::setw(width) << "-";
    }
  }
  void end() { text_ << '\n'; }
  [[nodiscard]] std::string text() const { return text_.str(); }

 private:
  int name_width_;
  std::ostringstream text_;
};

void add_times(Lines& lines, const Summary& summary) {
  lines.number(summary.first_token.mean);
  lines.number(summary.first_token.p50);
  lines.number(summary.first_token.p99);
}

}  // namespace

std::string comparison(const std::vector<Cell>& cells, const std::optional<Summary>& recorded) {
  constexpr std::string_view kRecorded = "(as recorded)";
  std::size_t width = kRecorded.size();
  for (const auto& cell : cells) width = std::max(width, cell.policy->name.size());
  Lines lines(width);
  lines.head();
  if (recorded) {
    lines.place("-", {}, 1);
    lines.name(kRecorded);
    add_times(lines, *recorded);
    lines.number({});
    lines.number({});
    lines.number(recorded->latency.mean);
    lines.number(recorded->latency.p99);
    lines.number({});
    lines.number({});
    lines.end();
  }
  for (const auto& cell : cells) {
    const auto& summary = cell.summary;
    lines.place(std::to_string(cell.engines), cell.load, cell.rate);
    lines.name(cell.policy->name);
    add_times(lines, summary);
    lines.number(summary.slo * 100, 1);
    lines.number(summary.per_token.mean * 1000, 1);
    lines.number(summary.latency.mean);
    lines.number(summary.latency.p99);
    lines.number(summary.held.mean);
    lines.number(summary.hits * 100, 1);
    lines.end();
  }
  return lines.text();
}

}  // namespace svc::routing
