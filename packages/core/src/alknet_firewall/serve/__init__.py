"""The firewall as a server beside other programs: `app.create_app` makes the application, `run` serves it.

Needs the extra `[serve]`; nothing here is imported by the engine.
"""
