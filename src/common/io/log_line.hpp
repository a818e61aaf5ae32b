// The two forms of a log line. Pure: text in, text out.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/core/clock.hpp"
#include "common/io/log.hpp"

namespace svc {

/// `2026-11-23T12:00:00.123456Z INFO  registry: service registered name=gpu1 port=8100`, without a line end. A text
/// value that is empty, or has blanks, quotes, '=' or backslashes, is quoted; control characters and bytes that are not
/// UTF-8 are escaped (\n, \x1b), in the message too. Fractions are rounded to three decimals.
void append_text_line(std::string& out, WallTime time, LogLevel level, std::string_view logger,
                      std::string_view message, std::span<const Field> fields);

/// `{"ts":"...","level":"info","logger":"registry","msg":"...","name":"gpu1","port":8100}`, without a line end.
void append_json_line(std::string& out, WallTime time, LogLevel level, std::string_view logger,
                      std::string_view message, std::span<const Field> fields);

}  // namespace svc
