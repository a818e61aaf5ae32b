// The phases of a daemon's life by name, and what is printed when one of them fails. For daemon.cpp alone.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "common/core/error.hpp"

namespace svc {

enum class Phase { parse, validate, log, bind, start, run, drain, stop };

inline std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::parse: return "parse";
    case Phase::validate: return "validate";
    case Phase::log: return "log";
    case Phase::bind: return "bind";
    case Phase::start: return "start";
    case Phase::run: return "run";
    case Phase::drain: return "drain";
    case Phase::stop: return "stop";
  }
  return "?";
}

struct Problem {
  Phase phase;
  Error error;
};

inline void print_problem(const std::string& name, const Problem& problem) {
  std::string text = name + ": " + std::string(to_string(problem.phase)) + ": " + problem.error.to_string();
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace svc
