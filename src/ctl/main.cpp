#include "ctl/app.hpp"

int main(int argc, char** argv) { return svc::ctl::run(argc, argv); }
