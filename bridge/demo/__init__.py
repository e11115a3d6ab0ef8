"""The demo: three loyalty programs, their members and a month or a year of purchases, as a client of the API.

Here live the purchases, the plan of who is a member where, the replay, the swaps and the report. Nothing
of the service lives here or is imported: whatever the demo does, a partner can do over HTTP.
"""
