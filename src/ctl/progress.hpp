// Lines of progress: "infinilm-gpu1: starting for 12s: Loading weights", often enough to be useful and no more.
#pragma once

#include <string>

#include "common/core/clock.hpp"

namespace svc::ctl {

class Progress {
 public:
  /// `label`: before each line; "" = nothing.
  explicit Progress(std::string label) : label_(std::move(label)) {}

  /// Prints the text if it has changed and the last line is at least a second old, or when that is older than ten. Not in the
  /// first half second: what is done by then needs no progress.
  void show(const std::string& text);
  /// Prints it in any case.
  void tell(const std::string& text);
  /// Has anything been printed?
  [[nodiscard]] bool has_spoken() const { return !last_.empty(); }

 private:
  void print(const std::string& text);

  std::string label_;
  std::string last_;
  TimePoint began_ = steady_now();
  TimePoint printed_{};
};

}  // namespace svc::ctl
