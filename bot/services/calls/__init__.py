"""The telephone: callbacks owed and dialled, calls in and out, agents' telephones, voicemail."""
