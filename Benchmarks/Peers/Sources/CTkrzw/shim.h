#pragma once
#include <tkrzw_langc.h>
